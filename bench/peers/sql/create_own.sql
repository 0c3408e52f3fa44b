-- What a caller writes in the transaction in which it enqueues.
CREATE TABLE own (number bigint);
