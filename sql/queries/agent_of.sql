SELECT agent, lease FROM wsup.supervisor WHERE id = %s AND agent IS NOT NULL
