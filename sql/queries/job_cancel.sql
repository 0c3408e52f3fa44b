SELECT state FROM wsup.cancel(ARRAY[%s::bigint], %s::boolean)
