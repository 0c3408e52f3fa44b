SELECT wsup.revoke_tokens(%s)
