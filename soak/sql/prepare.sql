-- A pinned horizon: a transaction that writes here, and does nothing more.
CREATE TABLE public.pinned (at timestamptz NOT NULL)
