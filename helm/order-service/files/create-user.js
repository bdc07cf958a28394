// Run by the mongo image, once, when it makes a new database: the service's user, with rights on its database alone.
const { MONGO_INITDB_DATABASE: database, MONGO_USERNAME: user, MONGO_PASSWORD: pwd } = process.env;

db.getSiblingDB(database).createUser({ user, pwd, roles: [{ role: 'readWrite', db: database }] });
