-- Which items does each position of a crime need?
with crime as (
    select id, name, difficulty, _run_id
    from faction_crimes
    where true
    qualify row_number() over (
        partition by _subject_id, id order by server_timestamp desc, _run_id desc) = 1
),
item as (
    select id, name
    from torn_items
    where true
    qualify row_number() over (partition by id order by server_timestamp desc, _run_id desc) = 1
)
select distinct c.difficulty, c.name as crime, s.position, i.name as item_needed,
       s.item_requirement_is_reusable as item_is_reusable
from crime as c
join faction_crimes_slots as s on s.crime_id = c.id and s._run_id = c._run_id
left join item as i on i.id = s.item_requirement_id
order by c.difficulty, crime, s.position, item_needed nulls last, item_is_reusable nulls last
