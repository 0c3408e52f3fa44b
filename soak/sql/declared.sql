-- Has somebody loaded the app? From then on its limits hold, and its queue is fair.
SELECT EXISTS (SELECT FROM wsup.limits) AND EXISTS (SELECT FROM wsup.queue_order)
