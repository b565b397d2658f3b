"""Questions that the demo asks the warehouse: SQL that any user could write."""

from __future__ import annotations

from typing import NamedTuple


class Question(NamedTuple):
    """A question in words and in SQL."""

    asks: str
    sql: str


QUESTIONS = (
    Question(
        "Who was in which crime, and what did it pay?",
        """
        with crime as (
            from faction_crimes where status = 'Successful'
            qualify row_number() over (partition by id order by server_timestamp desc) = 1
        ),
        member as (
            select id, any_value(name) as name from faction_members group by id
        )
        select c.executed_at, c.name as crime, c.difficulty, c.rewards_money as money,
               c.rewards_payout_percentage as payout_percent,
               string_agg(coalesce(m.name, s.user_id::varchar) || ' (' || s.position || ')', ', '
                          order by s._index) as crew
        from crime c
        join faction_crimes_slots s on s.crime_id = c.id and s._run_id = c._run_id
        left join member m on m.id = s.user_id
        where c.executed_at is not null
        group by all order by c.executed_at desc limit 5
        """,
    ),
    Question(
        "Who is inactive?",
        """
        with latest as (
            from faction_members
            qualify row_number() over (partition by id order by server_timestamp desc) = 1
        )
        select name, position, level, last_action_timestamp as last_seen,
               date_diff('day', last_action_timestamp, server_timestamp) as days_ago
        from latest
        where last_action_timestamp < server_timestamp - interval 2 day
        order by last_seen limit 5
        """,
    ),
    Question(
        "What changed between the polls?",
        """
        with poll as (
            select name, server_timestamp as seen_at, status_state as state,
                   lag(status_state) over (partition by id order by server_timestamp) as was,
                   status_description as description
            from faction_members
        )
        select seen_at, name, was || ' -> ' || state as change, description
        from poll where was <> state
        order by seen_at desc, name limit 6
        """,
    ),
)
