-- Each service makes a database of its own, millrace_order and so on, and its tables there.
GRANT ALL PRIVILEGES ON `millrace\_%`.* TO 'millrace'@'%';
