/*
title = "Who was not seen?"
page = "members"
asks = ["leader", "recruiter"]
caption = "Members of the newest picture whose last action was more than {hours} hours before it."
definition = """
The time between a member's last action and the newest picture of the faction. Whoever has left is in no
new picture, and so not here. Somebody in hospital or abroad may have a reason: the state says so. In
history the newest picture is the last one in which anything of any member changed."""
chart = { kind = "list", label = "member", values = ["days_ago"] }
units = { days_ago = "days", last_seen = "time", days_in_faction = "days" }
links = { member = "member_id" }

[needs."/faction/members"]

[params]
hours = { default = 24, min = 1, max = 2160, says = "Hours without an action." }
*/
with member as (
    select _subject_id, id, name, position, level, days_in_faction, status_state,
           status_description, last_action_timestamp,
           unix_seconds(max(server_timestamp) over (partition by _subject_id))
               - unix_seconds(last_action_timestamp) as idle
    from {faction_members:now}
)
select name as member, position, level, days_in_faction, status_state as state,
       status_description as description, last_action_timestamp as last_seen,
       idle / 86400 as days_ago, id as member_id
from member
where idle > $hours * 3600
order by last_seen nulls last, member_id nulls last, _subject_id nulls last
