/*
title = "Which items does each position of a crime need?"
page = "crimes"
asks = ["planner", "quartermaster"]
caption = "Every position that was seen, with the item that it asked for."
chart = { kind = "table", label = "position" }
units = { item_is_reusable = "flag" }
shared = ["torn_items"]

[needs."/faction/crimes"]

[needs."/torn/items"]
optional = true
*/
select distinct c.difficulty, c.name as crime, s.position, i.name as item_needed,
       s.item_requirement_is_reusable as item_is_reusable
from {faction_crimes:now} as c
join {faction_crimes_slots:now} as s on s._subject_id = c._subject_id and s.crime_id = c.id
left join {torn_items:last} as i on i.id = s.item_requirement_id
order by c.difficulty nulls last, crime nulls last, s.position nulls last,
         item_needed nulls last, item_is_reusable nulls last
