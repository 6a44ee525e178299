// Reads a topic from its beginning with kafkajs and the cloudevents package: node read.js ADDRESS TOPIC COUNT
// One line per event: id, type, subject and data as CloudEvents says them.
const { Kafka, logLevel } = require("kafkajs");
const { Kafka: CloudEventsKafka } = require("cloudevents");

const [address, topic, count] = process.argv.slice(2);

async function main() {
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.ERROR });
  const consumer = kafka.consumer({ groupId: `read-${topic}` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let left = Number(count);
  await new Promise((resolve, reject) => {
    consumer.run({
      eachMessage: async ({ message }) => {
        try {
          const headers = Object.fromEntries(Object.entries(message.headers).map(([k, v]) => [k, v.toString()]));
          const event = CloudEventsKafka.toEvent({ ...message, headers, value: message.value.toString() });
          console.log(JSON.stringify([event.id, event.type, event.subject, event.data]));
          if (--left === 0) resolve();
        } catch (error) {
          reject(error);
        }
      },
    });
  });
  await consumer.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
