// Run once by the mongo image for a new database: creates the service's user, with rights on its database alone.
const { MONGO_INITDB_DATABASE: database, MONGO_USERNAME: user, MONGO_PASSWORD: pwd } = process.env;

db.getSiblingDB(database).createUser({ user, pwd, roles: [{ role: 'readWrite', db: database }] });
