INSERT INTO public.pinned VALUES (clock_timestamp())
