/*
title = "Who is there, and who was?"
page = "members"
of = "member"
asks = ["leader", "recruiter"]
caption = "All who were seen in the faction, as they were seen last: first those who are there, the longest ones before the others."
definition = """
Who is there is in the newest picture. Days in the faction are Torn's, as of the last picture with this
member. With storage_mode replace nobody is known who has left."""
chart = { kind = "list", label = "member", values = ["position", "days_in_faction"] }
units = { is_there = "flag", days_in_faction = "days", last_action = "time" }
links = { member = "member_id" }

[needs."/faction/members"]
*/
select m.name as member, m.position, m.days_in_faction, m.level, h.id is not null as is_there,
       m.status_state as state, m.status_description as description,
       m.last_action_timestamp as last_action, m.id as member_id
from {faction_members:last} as m
left join {faction_members:now} as h on h._subject_id = m._subject_id and h.id = m.id
where $member is null or m.id = $member
order by case when h.id is null then 1 else 0 end nulls last, m.days_in_faction desc, m.id desc,
         m._subject_id desc
