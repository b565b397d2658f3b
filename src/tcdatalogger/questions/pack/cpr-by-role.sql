/*
title = "How good are we in each role, and are we better than before?"
page = "crimes"
of = "member"
asks = ["planner"]
caption = "Each member's newest pass rate in a position, and what it gained since the first."
definition = """
Only slots that a member filled count: the pass rate of an empty slot is that of the key's owner. A
pass rate of 0 is sent for crimes that expired, and is left out. Members who have left count too. The best are the three with the
highest rate."""
chart = { kind = "bars", label = "position", values = ["mean_rate"] }
units = { mean_rate = "number", gained = "number" }

[needs."/faction/crimes"]

[needs."/faction/members"]
also = ["/faction/{id}/members"]
optional = true
*/
with held as (
    select c._subject_id, c.name as crime, c.difficulty, s.position, s.user_id,
           s.checkpoint_pass_rate as rate,
           first_value(s.checkpoint_pass_rate) over (
               partition by c._subject_id, c.name, s.position, s.user_id
               order by s.user_joined_at nulls last, c.id, s._index) as first_rate,
           row_number() over (
               partition by c._subject_id, c.name, s.position, s.user_id
               order by s.user_joined_at desc, c.id desc, s._index desc) as nth
    from {faction_crimes:now} as c
    join {faction_crimes_slots:now} as s on s._subject_id = c._subject_id and s.crime_id = c.id
    where s.user_id is not null and s.checkpoint_pass_rate > 0
      and ($member is null or s.user_id = $member)
),
newest as (
    select h.crime, h.difficulty, h.position, h.rate, h.first_rate,
           coalesce(m.name, cast(h.user_id as string)) as member,
           row_number() over (
               partition by h.crime, h.difficulty, h.position
               order by h.rate desc, m.name, h.user_id, h._subject_id) as place
    from held as h
    left join {faction_members:last} as m on m._subject_id = h._subject_id and m.id = h.user_id
    where h.nth = 1
)
select crime, difficulty, position, count(*) as members, avg(rate) as mean_rate,
       min(rate) as lowest, max(rate) as highest, avg(rate - first_rate) as gained,
       string_agg(case when place <= 3 then member || ' ' || cast(rate as string) end,
                  ', ' order by place) as best
from newest
group by crime, difficulty, position
order by difficulty desc, crime nulls last, position nulls last
