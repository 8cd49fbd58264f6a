const fs = require("node:fs");
const path = require("node:path");

module.exports = function (RED) {
    RED.nodes.registerSubflow(JSON.parse(fs.readFileSync(path.join(__dirname, "privface-event.json"), "utf8")));
};
