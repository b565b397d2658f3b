/*
title = "Who put in, who took out?"
page = "money"
asks = ["banker", "leader"]
caption = "Changes of members' balances between two pictures, of the last {days} days, newest first."
definition = """
The difference of two pictures that follow each other. A movement lies somewhere between them: from
and to say when. It may be several that add up, as a deposit and a payout of a crime."""
chart = { kind = "list", label = "member", values = ["moved"] }
units = { from_picture = "time", to_picture = "time", before = "money", after = "money", moved = "money" }
links = { member = "member_id" }
audience = "officer"

[needs."/faction/balance"]
modes = ["append", "history"]
*/
with picture as (
    select _subject_id, member_id, username, money, server_timestamp,
           lag(money) over (
               partition by _subject_id, member_id order by server_timestamp, _run_id) as before,
           lag(server_timestamp) over (
               partition by _subject_id, member_id order by server_timestamp, _run_id) as seen
    from {faction_balance_members:all}
)
select server_timestamp as to_picture, username as member, before, money as after,
       money - before as moved, seen as from_picture, member_id
from picture
where money <> before and server_timestamp >= $since
order by to_picture desc, abs(money - before) desc, member_id desc
