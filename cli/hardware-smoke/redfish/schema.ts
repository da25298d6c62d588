// The parts of Redfish resources that are read here (DSP0268, ComputerSystem, Manager, VirtualMedia,
// Task). Loose: services add properties, leave out what is optional, and use null for what they don't
// know. No logic.

import { z } from 'zod';

const maybe = <T extends z.ZodType>(type: T) => type.nullish();

const Link = z.object({ '@odata.id': z.string() });

export const ServiceRoot = z.object({
  RedfishVersion: maybe(z.string()),
  Vendor: maybe(z.string()),
  Product: maybe(z.string()),
  Systems: maybe(Link),
  Managers: maybe(Link),
  /** Where sessions are made, so that nothing else has to be read before a login (DSP0266, "Session login"). */
  Links: z.object({ Sessions: Link }),
});

export const Collection = z.object({ Members: z.array(Link) });

const SerialService = z.object({
  ServiceEnabled: maybe(z.boolean()),
  Port: maybe(z.number()),
});

export const ComputerSystem = z.object({
  '@odata.id': z.string(),
  Id: z.string(),
  Manufacturer: maybe(z.string()),
  Model: maybe(z.string()),
  SerialNumber: maybe(z.string()),
  UUID: maybe(z.string()),
  BiosVersion: maybe(z.string()),
  PowerState: maybe(z.string()),
  Boot: maybe(
    z.object({
      BootSourceOverrideEnabled: maybe(z.string()),
      BootSourceOverrideMode: maybe(z.string()),
      BootSourceOverrideTarget: maybe(z.string()),
      'BootSourceOverrideTarget@Redfish.AllowableValues': maybe(z.array(z.string())),
    }),
  ),
  SerialConsole: maybe(
    z.object({
      IPMI: maybe(SerialService),
      SSH: maybe(SerialService),
      Telnet: maybe(SerialService),
    }),
  ),
  VirtualMedia: maybe(Link),
  Links: maybe(z.object({ ManagedBy: maybe(z.array(Link)) })),
  Actions: maybe(
    z.object({
      '#ComputerSystem.Reset': maybe(
        z.object({
          target: z.string(),
          'ResetType@Redfish.AllowableValues': maybe(z.array(z.string())),
          '@Redfish.ActionInfo': maybe(z.string()),
        }),
      ),
    }),
  ),
});
export type ComputerSystem = z.infer<typeof ComputerSystem>;

/** Where allowable values are not on the action itself (DSP0266, "Action info annotation"). */
export const ActionInfo = z.object({
  Parameters: z.array(z.object({ Name: z.string(), AllowableValues: maybe(z.array(z.string())) })),
});

export const Manager = z.object({ VirtualMedia: maybe(Link), FirmwareVersion: maybe(z.string()) });

export const VirtualMedia = z.object({
  '@odata.id': z.string(),
  Id: z.string(),
  MediaTypes: maybe(z.array(z.string())),
  Image: maybe(z.string()),
  Inserted: maybe(z.boolean()),
  Actions: maybe(
    z.object({
      '#VirtualMedia.InsertMedia': maybe(z.object({ target: z.string() })),
      '#VirtualMedia.EjectMedia': maybe(z.object({ target: z.string() })),
    }),
  ),
});
export type VirtualMedia = z.infer<typeof VirtualMedia>;

export const Message = z.object({
  MessageId: maybe(z.string()),
  Message: maybe(z.string()),
  Resolution: maybe(z.string()),
});

export const Task = z.object({
  '@odata.type': z.string().startsWith('#Task.'),
  TaskState: maybe(z.string()),
  TaskStatus: maybe(z.string()),
  Messages: maybe(z.array(Message)),
});

/** DSP0266, "Error responses". */
export const ErrorBody = z.object({
  error: z.object({
    code: maybe(z.string()),
    message: maybe(z.string()),
    '@Message.ExtendedInfo': maybe(z.array(Message)),
  }),
});
