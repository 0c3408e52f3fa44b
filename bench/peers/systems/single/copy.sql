COPY job (task, args) FROM STDIN
