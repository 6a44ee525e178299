// Command read reads a topic from its beginning with sarama and the CloudEvents SDK: read ADDRESS TOPIC COUNT
// One line per event: id, type, subject and data as CloudEvents says them.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"strconv"

	"github.com/IBM/sarama"
	"github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
)

func main() {
	address, topic := os.Args[1], os.Args[2]
	count, err := strconv.Atoi(os.Args[3])
	if err == nil {
		err = read(address, topic, count)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func read(address, topic string, count int) error {
	config := sarama.NewConfig()
	config.Consumer.Return.Errors = true
	consumer, err := sarama.NewConsumer([]string{address}, config)
	if err != nil {
		return err
	}
	defer consumer.Close()
	partitions, err := consumer.Partitions(topic)
	if err != nil {
		return err
	}
	records, errors := make(chan *sarama.ConsumerMessage), make(chan error)
	for _, partition := range partitions {
		from, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
		if err != nil {
			return err
		}
		go forward(from, records, errors)
	}
	for range count {
		select {
		case record := <-records:
			if err := show(record); err != nil {
				return err
			}
		case err := <-errors:
			return err
		}
	}
	return nil
}

func forward(from sarama.PartitionConsumer, records chan<- *sarama.ConsumerMessage, errors chan<- error) {
	for {
		select {
		case record := <-from.Messages():
			records <- record
		case err := <-from.Errors():
			errors <- err
		}
	}
}

func show(record *sarama.ConsumerMessage) error {
	message := kafka_sarama.NewMessageFromConsumerMessage(record)
	event, err := binding.ToEvent(context.Background(), message)
	if err != nil {
		return err
	}
	if err := event.Validate(); err != nil {
		return err
	}
	line := []any{event.ID(), event.Type(), event.Subject(), json.RawMessage(event.Data())}
	return json.NewEncoder(os.Stdout).Encode(line)
}
