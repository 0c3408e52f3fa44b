SELECT refused, passed FROM wsup.settle(
    %s::integer,
    %s, %s, %s, %s, %s, %s, %s, %s,
    %s, %s, %s, %s,
    %s, %s, %s, %s, %s, %s, %s, %s)
