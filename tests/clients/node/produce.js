// Writes lines of standard input, "key<TAB>value", to a topic with kafkajs: node produce.js PARTITIONER ADDRESS TOPIC
const { readFileSync } = require("node:fs");
const { Kafka, Partitioners, logLevel } = require("kafkajs");

const [partitioner, address, topic] = process.argv.slice(2);
const createPartitioner = {
  kafkajs: Partitioners.DefaultPartitioner,
  "kafkajs-legacy": Partitioners.LegacyPartitioner,
}[partitioner];

async function main() {
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.ERROR });
  const producer = kafka.producer({ createPartitioner });
  await producer.connect();
  const messages = readFileSync(0, "utf8").split("\n").filter(Boolean).map((line) => {
    const at = line.indexOf("\t");
    return { key: line.slice(0, at), value: line.slice(at + 1) };
  });
  await producer.send({ topic, messages });
  await producer.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
