SELECT refused, passed, locked, late FROM wsup.settle(
    %s::integer,
    %s, %s, %s, %s, %s, %s, %s, %s,
    %s, %s, %s, %s,
    %s, %s, %s, %s, %s, %s, %s, %s, %s)
