-- What was set aside, and why?
select quarantined_at, endpoint, path, reason
from _tcd_quarantine
order by quarantined_at desc, seq desc
