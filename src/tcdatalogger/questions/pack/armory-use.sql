/*
title = "Who uses what of the armory?"
page = "armory"
of = "member"
asks = ["quartermaster", "leader"]
caption = "Items of the armory by member, read from the news of the last {days} days; what could not be read is counted."
definition = """
Torn tells of the armory in sentences. Used and filled items are gone; given ones went to a member for
good; loaned ones come back as returned or retrieved. An item given or loaned to somebody else counts for
whoever got it. Points of the faction that somebody used stand as the item Points. The value is that of
used, filled and given items by the newest market price; items without a price have none. Whoever changed
the name stands here with both. Lines that this question cannot read are the last row, with the newest one
as an example."""
chart = { kind = "matrix", label = "member", across = "item", values = ["used"] }
units = { value = "money" }
links = { member = "member_id" }
shared = ["price"]

[needs."/faction/news"]
params = { cat = "armoryAction" }

[needs."/torn/items"]
optional = true
*/
with line as (
    select _subject_id, id, timestamp, text, _cat = 'armoryAction' as is_of_armory,
           coalesce(first_group(text, '^<a [^>]*>([^<]+)</a> '), first_group(text, '^([^ <]+) '))
               as actor,
           first_group(text, '^<a [^>]*XID=([0-9]+)') as actor_id,
           coalesce(first_group(text, ' to <a [^>]*>([^<]+)</a> from the faction armory'),
                    first_group(text, ' to ([^ <]+) from the faction armory'),
                    first_group(text, ' retrieved .* from <a [^>]*>([^<]+)</a>'),
                    first_group(text, ' retrieved .* from ([^ <]+)')) as other,
           coalesce(first_group(text, ' to <a [^>]*XID=([0-9]+)[^>]*>[^<]+</a> from the faction'),
                    first_group(text, ' retrieved .* from <a [^>]*XID=([0-9]+)')) as other_id,
           first_group(text, ' (used|filled|gave|loaned|returned|retrieved|deposited) ') as did,
           coalesce(first_group(text, ' (?:used|filled) ([0-9]+) of the faction.s '),
                    first_group(text, ' (?:gave|loaned|returned|retrieved|deposited) ([0-9]+) ?x '),
                    first_group(text, ' (?:used|filled) (one) of the faction.s ')) as told,
           coalesce(first_group(text, ' used (?:one|[0-9]+) of the faction.s (points) to '),
                    first_group(text, ' (?:used|filled) (?:one|[0-9]+) of the faction.s (.+) items'),
                    first_group(text, ' filled (?:one|[0-9]+) of the faction.s (.+?)s? to create '),
                    first_group(text, ' (?:gave|loaned) [0-9]+ ?x (.+) to .+ from the faction armory'),
                    first_group(text, ' retrieved [0-9]+ ?x (.+) from '),
                    first_group(text, ' (?:returned|deposited) [0-9]+ ?x (.+)$')) as thing
    from {faction_news:now}
    where ',' || replace(_cat, ' ', '') || ',' like '%,armoryAction,%'
      and timestamp >= $since and timestamp <= $until
),
act as (
    select _subject_id, timestamp, id, text,
           case when actor is not null and told is not null then did end as did,
           cast(case when told = 'one' then '1' else told end as int64) as quantity,
           case when actor is null or told is null or thing is null then '(not understood)'
                when thing = 'points' then 'Points' else thing end as item,
           case when actor is null or told is null or thing is null then '(not understood)'
                when other is null or other = 'themselves' then actor else other end as member,
           case when other is null or other = 'themselves' then actor_id else other_id end
               as member_id
    from line
    where is_of_armory or (actor is not null and told is not null and thing is not null)
),
price as (
    select name, value_market_price as price
    from {torn_items:now}
    where value_market_price > 0
    qualify row_number() over (partition by name order by id) = 1
),
counted as (
    select _subject_id, item, member,
           cast(max(case when item <> '(not understood)' then member_id end) as int64) as member_id,
           sum(case when did = 'used' then quantity else 0 end) as used,
           sum(case when did = 'filled' then quantity else 0 end) as filled,
           sum(case when did = 'gave' then quantity else 0 end) as given,
           sum(case when did = 'loaned' then quantity else 0 end) as loaned,
           sum(case when did in ('returned', 'retrieved') then quantity else 0 end) as returned,
           sum(case when did = 'deposited' then quantity else 0 end) as deposited,
           sum(case when item = '(not understood)' then 1 else 0 end) as not_understood
    from act
    group by _subject_id, item, member
),
example as (
    select _subject_id, item, text
    from act
    where item = '(not understood)'
    qualify row_number() over (partition by _subject_id order by timestamp desc, id desc) = 1
)
select c.item, c.member, c.used, c.filled, c.given, c.loaned, c.returned, c.deposited,
       (c.used + c.filled + c.given) * p.price as value, c.not_understood, e.text as example,
       c.member_id
from counted as c
left join price as p on p.name = c.item
left join example as e on e._subject_id = c._subject_id and e.item = c.item
where $member is null or c.member_id = $member
order by c.not_understood nulls last, c.used desc, c.given desc, c.loaned desc, c.item nulls last,
         c.member nulls last, c._subject_id nulls last
