"""New values for the secrets that kfinstall generated, in the servers that hold them and in everything that uses them."""
