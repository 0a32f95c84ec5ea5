"""Tests of mox.net."""
