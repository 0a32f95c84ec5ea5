"""The webapi on the server: requests of applications, spec/webapi.md. Its types are in `mox.webapi`."""
