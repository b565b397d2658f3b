/*
title = "Who changed state?"
page = "members"
of = "member"
asks = ["leader", "warlord"]
caption = "Changes of a member's state between two pictures, of the last {days} days, newest first."
definition = """
Two pictures of a member that follow each other, with other states. What happened between them is not
seen: the more often members are read, the more is here."""
chart = { kind = "list", label = "member", values = ["change"] }
units = { seen_at = "time" }
links = { member = "member_id" }
days = 7

[needs."/faction/members"]
modes = ["append", "history"]
also = ["/faction/{id}/members"]
*/
with picture as (
    select id, name, server_timestamp as seen_at, status_state as state,
           lag(status_state) over (
               partition by _subject_id, id order by server_timestamp, _run_id) as was,
           status_description as description
    from {faction_members:all}
)
select seen_at, name as member, was || ' -> ' || state as change, description, id as member_id
from picture
where was <> state and seen_at >= $since and ($member is null or id = $member)
order by seen_at desc, member_id desc
