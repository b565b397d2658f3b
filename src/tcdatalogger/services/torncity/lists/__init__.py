"""Lists: paging, links, and the cursor of an incremental endpoint."""
