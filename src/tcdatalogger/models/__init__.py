"""Shapes, schemas and Arrow tables: pure values, without network, files or clock."""
