LISTEN reference;
