INSERT INTO wsup.migration (version, name, checksum)
VALUES (%(version)s, %(name)s, %(checksum)s)
