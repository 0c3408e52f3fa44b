SELECT refused, passed, locked FROM wsup.settle(
    %s::integer,
    %s, %s, %s, %s, %s, %s, %s, %s,
    %s, %s, %s, %s,
    %s, %s, %s, %s, %s, %s, %s, %s)
