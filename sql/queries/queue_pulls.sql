SELECT wsup.pulls()
