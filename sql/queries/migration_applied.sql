SELECT version, name, checksum FROM wsup.migration ORDER BY version
