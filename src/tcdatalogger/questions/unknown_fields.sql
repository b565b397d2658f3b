-- What did Torn send that its document lacks?
select seen_at, table_name, column_name, type, example
from _tcd_drift
order by seen_at desc, seq desc
