"""The checks of `tcdatalogger check` and `keys check`."""
