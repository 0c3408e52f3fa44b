SELECT wsup.status(%s)
