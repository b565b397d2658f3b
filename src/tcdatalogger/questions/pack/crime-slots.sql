/*
title = "Who did what in crimes?"
page = "crimes"
of = ["crime", "member"]
asks = ["planner", "member"]
caption = "Slots of the crimes that are not over yet, and of those of the last {days} days, the newest first."
definition = """
A crime is of the day on which it was executed, or on which it expired. Of one crime all slots are here,
however old it is. The pass rate of an empty slot is that of the key's owner, and that of a crime that
expired is sent as 0: both are left out. What became of the item is told once the crime is over."""
chart = { kind = "list", label = "crime", values = ["position", "member", "pass_rate", "status"] }
units = { pass_rate = "number", progress = "number", item_is_there = "flag", joined_at = "time", executed_at = "time" }
links = { crime = "crime_id", member = "member_id", item = "item_id" }
shared = ["torn_items"]

[needs."/faction/crimes"]

[needs."/faction/members"]
also = ["/faction/{id}/members"]
optional = true

[needs."/torn/items"]
optional = true
*/
select c.name as crime, coalesce(s.position_info_label, s.position) as position,
       coalesce(m.name, cast(s.user_id as string)) as member,
       case when s.user_id is not null then nullif(s.checkpoint_pass_rate, 0) end as pass_rate,
       c.status, c.difficulty, s.user_joined_at as joined_at, s.user_progress as progress,
       s.user_outcome as outcome,
       coalesce(i.name, 'item ' || cast(s.item_requirement_id as string)) as item,
       s.item_requirement_is_available as item_is_there,
       s.user_item_outcome_outcome as item_outcome, c.executed_at,
       c.id as crime_id, s.user_id as member_id, s.item_requirement_id as item_id
from {faction_crimes:now} as c
join {faction_crimes_slots:now} as s on s._subject_id = c._subject_id and s.crime_id = c.id
left join {faction_members:last} as m on m._subject_id = s._subject_id and m.id = s.user_id
left join {torn_items:last} as i on i.id = s.item_requirement_id
where ($member is null or s.user_id = $member)
  and (c.id = $crime or $crime is null
       and coalesce(c.executed_at, case when c.status = 'Expired' then c.expired_at end, $until)
           >= $since)
order by case when c.executed_at is null then 0 else 1 end nulls last, c.executed_at desc,
         c.id desc, s._index nulls last, c._subject_id nulls last
