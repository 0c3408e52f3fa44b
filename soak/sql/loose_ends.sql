-- What should have been tied up, and how far the supervisors no longer look.
SELECT e.id, e.made_at::text, e.child, e.parent, e.writers,
       (SELECT l.last_value FROM wsup.loose_end_low l), (SELECT i.last_value FROM wsup.loose_end_id i)
  FROM wsup.loose_end e ORDER BY e.id
