/*
title = "Who was not seen?"
page = "members"
asks = ["leader", "recruiter"]
caption = "Members of the newest picture whose last action was more than {hours} hours before it."
definition = """
The time between a member's last action and the picture in which it stands. Whoever has left is in no
new picture, and so not here. Somebody in hospital or abroad may have a reason: the state says so."""
chart = { kind = "list", label = "member", values = ["days_ago"] }
units = { days_ago = "days", last_seen = "time", days_in_faction = "days" }
links = { member = "member_id" }

[needs."/faction/members"]
also = ["/faction/{id}/members"]

[params]
hours = { default = 24, min = 1, max = 2160, says = "Hours without an action." }
*/
select name as member, position, level, days_in_faction, status_state as state,
       last_action_timestamp as last_seen,
       (unix_seconds(server_timestamp) - unix_seconds(last_action_timestamp)) / 86400 as days_ago,
       id as member_id
from {faction_members:now}
where unix_seconds(server_timestamp) - unix_seconds(last_action_timestamp) > $hours * 3600
order by last_seen nulls last, member_id nulls last
