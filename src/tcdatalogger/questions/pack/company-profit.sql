/*
title = "What does my company earn?"
page = "me"
asks = ["member"]
caption = "Income of a day less wages, advertising and goods that were sold, of the last {days} days."
definition = """
The last picture of each day. Income is that of Torn's last company day; wages are those of all employees in
the same picture of the day. Goods cost what the sold ones cost to order; where the stock is not logged, or a
company sells nothing that is ordered, they count as 0. Without the director's key wages and advertising are
unknown, and so is the profit."""
chart = { kind = "line", label = "day", values = ["profit"], series = "company" }
units = { day = "date", income = "money", wages = "money", advertising = "money", goods = "money", profit = "money", customers = "count", popularity = "number", efficiency = "number", environment = "number", employees = "count" }
audience = "owner"

[needs."/company/profile"]
modes = ["append", "history"]

[needs."/company/employees"]
modes = ["append"]
optional = true

[needs."/company/stock"]
modes = ["append"]
optional = true
*/
with picture as (
    select _subject_id, cast(server_timestamp as date) as day, id, name, income_daily,
           customers_daily, advertisement_budget, popularity, efficiency, environment,
           employees_hired
    from {company_profile:all}
    where server_timestamp >= $since
    qualify row_number() over (
        partition by id, cast(server_timestamp as date)
        order by server_timestamp desc, _run_id desc) = 1
),
staff as (
    select _subject_id, cast(server_timestamp as date) as day, wage
    from {company_employees:all}
    where server_timestamp >= $since
    qualify _run_id = first_value(_run_id) over (
        partition by _subject_id, cast(server_timestamp as date)
        order by server_timestamp desc, _run_id desc)
),
wages as (
    select _subject_id, day, sum(wage) as wages
    from staff
    group by _subject_id, day
),
shelf as (
    select _subject_id, cast(server_timestamp as date) as day, cost * sold_amount as cost
    from {company_stock:all}
    where server_timestamp >= $since
    qualify _run_id = first_value(_run_id) over (
        partition by _subject_id, cast(server_timestamp as date)
        order by server_timestamp desc, _run_id desc)
),
goods as (
    select _subject_id, day, sum(cost) as cost
    from shelf
    group by _subject_id, day
)
select p.day, p.name as company, p.income_daily as income, w.wages,
       p.advertisement_budget as advertising, coalesce(g.cost, 0) as goods,
       p.income_daily - w.wages - p.advertisement_budget - coalesce(g.cost, 0) as profit,
       p.customers_daily as customers, p.popularity, p.efficiency, p.environment,
       p.employees_hired as employees, p.id as company_id
from picture as p
left join wages as w on coalesce(w._subject_id, 0) = coalesce(p._subject_id, 0) and w.day = p.day
left join goods as g on coalesce(g._subject_id, 0) = coalesce(p._subject_id, 0) and g.day = p.day
order by p.day nulls last, company_id nulls last
