"""Log in to the servers: host key, login, sudo, and an operating system that is known. The first part; imports no other."""
