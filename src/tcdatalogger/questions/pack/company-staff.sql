/*
title = "How effective is each employee, and at what wage?"
page = "me"
asks = ["member"]
caption = "Employees of the newest picture, the least effective first."
definition = """
Effectiveness as Torn adds it up; addiction and inactivity take from it. Wages and effectiveness are shown to
the director's key alone; for all others they are blank."""
chart = { kind = "bars", label = "employee", values = ["effectiveness"] }
units = { days_in_company = "days", wage = "money", wage_per_point = "money", last_seen = "time" }
links = { employee = "employee_id" }
audience = "owner"

[needs."/company/employees"]
also = ["/company/{id}/employees"]
*/
select name as employee, position_name as position, days_in_company,
       effectiveness_total as effectiveness, effectiveness_working_stats as from_stats,
       effectiveness_settled_in as from_settling, effectiveness_addiction as by_addiction,
       effectiveness_inactivity as by_inactivity, wage,
       wage / nullif(effectiveness_total, 0) as wage_per_point,
       last_action_timestamp as last_seen, id as employee_id, _subject_id as company_id
from {company_employees:now}
order by effectiveness nulls last, employee_id nulls last, company_id nulls last
