/*
title = "Who is free, and for which open slot?"
page = "crimes"
asks = ["planner"]
caption = "Open slots of crimes, those that end first at the top, and members without a crime who were seen in the last {hours} hours: the pass rate that each had last in that position."
definition = """
A member is free whom Torn does not call busy, and who is in no slot of a crime that recruits or plans.
Torn says who is busy only to members of the same faction, and the key that reads /faction/members is one
of a member; the slots count too, as crimes and members are read at two times. Whoever left a crime, or whose crime was executed,
after the crimes were read is free here when they are read again. The number is the pass rate in the
newest slot that the member held in a crime of that name and position. It is empty where the member held
none, and where Torn sent 0, as it does for crimes that expired. The rate that Torn sends for the empty
slot itself is that of the key's owner, and is not shown."""
chart = { kind = "matrix", label = "slot", across = "member", values = ["pass_rate"] }
units = { pass_rate = "number", expires_at = "time", last_seen = "time" }
links = { member = "member_id", crime = "crime_id" }
shared = ["torn_items"]

[needs."/faction/crimes"]
[needs."/faction/members"]

[needs."/torn/items"]
optional = true

[params]
hours = { default = 48, min = 1, max = 2160, says = "Hours in which a free member was seen." }
*/
with slot as (
    select c._subject_id, c.id as crime_id, c.name as crime, c.difficulty, c.status, c.expired_at,
           s._index, s.position, coalesce(s.position_info_label, s.position) as role,
           s.item_requirement_id, s.user_id, s.user_joined_at, s.checkpoint_pass_rate as rate
    from {faction_crimes:now} as c
    join {faction_crimes_slots:now} as s on s._subject_id = c._subject_id and s.crime_id = c.id
),
busy as (
    select distinct _subject_id, user_id
    from slot
    where status in ('Recruiting', 'Planning') and user_id is not null
),
held as (
    select _subject_id, crime, position, user_id, rate
    from slot
    where user_id is not null and rate > 0
    qualify row_number() over (
        partition by _subject_id, crime, position, user_id
        order by user_joined_at desc, crime_id desc, _index desc) = 1
),
picture as (
    select _subject_id, max(server_timestamp) as seen_at
    from {faction_members:now}
    group by _subject_id
),
free as (
    select m._subject_id, m.id, m.name, m.status_state, m.last_action_timestamp
    from {faction_members:now} as m
    join picture as p on p._subject_id = m._subject_id
    left join busy as b on b._subject_id = m._subject_id and b.user_id = m.id
    where b.user_id is null and not coalesce(m.is_in_oc, false)
      and unix_seconds(p.seen_at) - unix_seconds(m.last_action_timestamp) <= $hours * 3600
)
select s.crime || ' ' || cast(s.crime_id as string) || ', ' || s.role as slot, f.name as member,
       h.rate as pass_rate, i.name as item_needed, f.status_state as state,
       f.last_action_timestamp as last_seen, s.crime, s.difficulty, s.expired_at as expires_at,
       f.id as member_id, s.crime_id
from slot as s
join free as f on f._subject_id = s._subject_id
left join held as h on h._subject_id = s._subject_id and h.crime = s.crime
     and h.position = s.position and h.user_id = f.id
left join {torn_items:last} as i on i.id = s.item_requirement_id
where s.status in ('Recruiting', 'Planning') and s.user_id is null
order by s.expired_at nulls last, s.crime_id nulls last, s._index nulls last,
         pass_rate desc, member nulls last, member_id nulls last
