SELECT id, beat, lease, connected FROM wsup.peers(%s::integer)
