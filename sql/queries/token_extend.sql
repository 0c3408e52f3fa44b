UPDATE wsup.token SET expires_at = %(expires_at)s, key = %(key)s
 WHERE id = %(id)s AND revoked_at IS NULL
RETURNING id
