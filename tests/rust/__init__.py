"""Tests of mox._rust through its Python face."""
