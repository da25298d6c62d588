// The resources of the BMC that tests speak to: one system, and one manager with a virtual floppy and a
// virtual CD, after the published mockup "public-rackmount1" (DSP2043).

export interface BmcState {
  power: string;
  image: string | null;
  inserted: boolean;
  override: Record<string, string>;
  sessions: Set<string>;
}

const SYSTEM = '/redfish/v1/Systems/437XR1138R2';
const MEDIA = '/redfish/v1/Managers/BMC/VirtualMedia/CD1';

export const link = (path: string) => ({ '@odata.id': path });

/** By path, as they are now. */
export const mockup = (
  state: BmcState,
  leadsAway: boolean,
): Readonly<Record<string, () => object>> => ({
  '/redfish/v1/': () => ({
    RedfishVersion: '1.15.0',
    Systems: link(leadsAway ? 'https://192.0.2.66/redfish/v1/Systems' : '/redfish/v1/Systems'),
    Links: { Sessions: link('/redfish/v1/SessionService/Sessions') },
  }),
  '/redfish/v1/Systems': () => ({ Members: [link(SYSTEM)] }),
  [SYSTEM]: () => ({
    ...{ ...link(SYSTEM), Id: '437XR1138R2', Manufacturer: 'Contoso', Model: '3500RX' },
    ...{ PowerState: state.power, SerialNumber: '437XR1138R2', BiosVersion: 'P79 v1.45' },
    Boot: {
      ...state.override,
      BootSourceOverrideMode: 'UEFI',
      'BootSourceOverrideTarget@Redfish.AllowableValues': ['None', 'Pxe', 'Cd', 'Usb', 'Hdd'],
    },
    SerialConsole: { SSH: { ServiceEnabled: true, Port: 2200 } },
    Links: { ManagedBy: [link('/redfish/v1/Managers/BMC')] },
    Actions: {
      '#ComputerSystem.Reset': {
        target: `${SYSTEM}/Actions/ComputerSystem.Reset`,
        '@Redfish.ActionInfo': `${SYSTEM}/ResetActionInfo`,
      },
    },
  }),
  [`${SYSTEM}/ResetActionInfo`]: () => ({
    Parameters: [{ Name: 'ResetType', AllowableValues: ['On', 'ForceOff', 'ForceRestart'] }],
  }),
  '/redfish/v1/Managers/BMC': () => ({
    VirtualMedia: link('/redfish/v1/Managers/BMC/VirtualMedia'),
  }),
  '/redfish/v1/Managers/BMC/VirtualMedia': () => ({
    Members: [link('/redfish/v1/Managers/BMC/VirtualMedia/Floppy1'), link(MEDIA)],
  }),
  '/redfish/v1/Managers/BMC/VirtualMedia/Floppy1': () => ({
    ...{ ...link('/redfish/v1/Managers/BMC/VirtualMedia/Floppy1'), Id: 'Floppy1' },
    MediaTypes: ['Floppy', 'USBStick'],
  }),
  [MEDIA]: () => ({
    ...{ ...link(MEDIA), Id: 'CD1', MediaTypes: ['CD', 'DVD'] },
    ...{ Image: state.image, Inserted: state.inserted },
    Actions: {
      '#VirtualMedia.InsertMedia': { target: `${MEDIA}/Actions/VirtualMedia.InsertMedia` },
      '#VirtualMedia.EjectMedia': { target: `${MEDIA}/Actions/VirtualMedia.EjectMedia` },
    },
  }),
});
