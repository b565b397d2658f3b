"""The pages of `tcdatalogger ui`: drawn on this machine, read-only, in a process of their own."""
